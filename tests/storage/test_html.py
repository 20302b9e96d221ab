from fastkb.storage.html import html_table


def test_a_table_of_words_and_sentences():
    html = html_table("A & B", [("level", "0.9"), ("<i>", "x < 1")])
    assert html.startswith("<table><caption><b>A &amp; B</b></caption>")
    assert html.count("<tr>") == 2
    assert "<th>&lt;i&gt;</th><td>x &lt; 1</td>" in html
