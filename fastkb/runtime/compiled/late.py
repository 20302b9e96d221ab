"""Compiling without detours: machine code is made where Python calls it, and nowhere on the way.

Numba optimises every function, every body of a parallel loop and every wrapper by itself, makes machine
code of it, and then does both again in each function that it was inlined into: for a chain of small
functions the innermost is optimised once a link. Here a function that only other compiled functions call
stays as it is until one that Python calls holds it, and is optimised there, once. This halves the time of
a first call, and the optimiser sees the whole.

Numba has no setting for this. What stands here overrides methods of its code library, which are not
documented; where one of them is missing, Numba's own way is taken, with the same results.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from numba.core import codegen
from numba.core.compiler import Compiler, CompileResult
from numba.core.environment import lookup_environment

_ENVIRONMENT = "_ZN08NumbaEnv"  # what Numba calls the variable that holds a function's environment
_LOOP_BODY = "__numba_parfor_gufunc"  # what Numba calls the body of a parallel loop
# What is overridden or used, of Numba's code library and of its generator of code.
_KNOWN = {
    codegen.JITCodeLibrary: (
        "_finalize_final_module",
        "_get_module_for_linking",
        "_optimize_final_module",
        "_optimize_functions",
        "finalize",
        "get_pointer_to_function",
    ),
    codegen.JITCPUCodegen: ("_function_pass_manager", "_module_pass_manager", "_pass_builder"),
}


class LateLibrary(codegen.JITCodeLibrary):
    """The code of a function: linked when it is complete, optimised when it is to run."""

    _made = False  # whether there is machine code

    @property
    def codegen(self) -> Any:
        return _LateEnvironments(self._codegen)

    def _optimize_functions(self, ll_module: Any) -> None:
        # A little is enough before they are inlined: what counts references to arrays goes, which
        # makes a resample in strata a seventh quicker.
        ll_module.data_layout = self._codegen._data_layout
        for function in ll_module.functions:
            if not function.is_declaration:
                manager, builder = self._codegen._function_pass_manager(opt=1)
                manager.run(function, builder)

    def finalize(self) -> None:
        """Link the code that this one calls."""
        self._raise_if_finalized()
        for library in dict.fromkeys(self._linking_libraries):
            self._reload_init.update(getattr(library, "_reload_init", ()))
            self._final_module.link_in(library._get_module_for_linking(), preserve=True)
        self._finalized = True

    def make(self) -> None:
        """Optimise the code, and make machine code of it."""
        self._ensure_finalized()
        if self._made:
            return
        self._optimize_final_module()
        self._finalize_final_module()
        for variable in self._final_module.global_variables:
            if variable.name.startswith(_ENVIRONMENT):
                environment = lookup_environment(variable.name)
                if environment is not None:
                    self.codegen.set_env(variable.name, environment)

    def _optimize_final_module(self) -> None:
        # Numba inlines everything by a cheap pass before, that is before anything is simple.
        manager, builder = self._codegen._module_pass_manager()
        manager.run(self._final_module, builder)
        self._final_module.verify()

    def _finalize_final_module(self) -> None:
        super()._finalize_final_module()
        self._made = True

    def get_pointer_to_function(self, name: str) -> int:
        """The address of a function that this code defines, or 0."""
        self._ensure_finalized()
        if not self._made and not self._python_calls(name):
            return 0
        self.make()
        return super().get_pointer_to_function(name)

    def _python_calls(self, name: str) -> bool:
        if self.name.startswith(_LOOP_BODY):
            return False  # it has a wrapper for Python, which nothing calls
        try:
            return not self._final_module.get_function(name).is_declaration
        except NameError:
            return False


class _LateEnvironments:
    """A code generator that leaves aside the environments of functions without machine code."""

    def __init__(self, generator: Any) -> None:
        self._generator = generator

    def __getattr__(self, name: str) -> Any:
        return getattr(self._generator, name)

    def set_env(self, name: str, environment: Any) -> None:
        if self._generator._engine.is_symbol_defined(name):
            self._generator.set_env(name, environment)


@contextlib.contextmanager
def _late_libraries(generator: Any) -> Iterator[None]:
    """Have all code made in between held by late libraries: overloads and bodies of loops, too.

    Numba's lock, which whoever compiles holds, keeps other threads out.
    """
    before = generator._library_class
    generator._library_class = LateLibrary
    try:
        yield
    finally:
        generator._library_class = before


class LateCompiler(Compiler):
    """Numba's compiler, with late libraries."""

    def compile_extra(self, func: Callable) -> CompileResult:
        with _late_libraries(self.state.targetctx.codegen()):
            return super().compile_extra(func)


def compiler() -> type[Compiler]:
    """The compiler to take: Numba's own before LLVM's new pass managers, which came with Numba 0.62."""
    known = all(hasattr(kind, name) for kind, names in _KNOWN.items() for name in names)
    return LateCompiler if known else Compiler
