"""The textbook's network and its training loop, as they are written for PyTorch."""

SOURCE = """
class Net(nn.Module):

    def __init__(self):
        super(Net, self).__init__()
        # 1 input image channel, 6 output channels, 3x3 square convolution
        # kernel
        self.conv1 = nn.Conv2d(1, 6, 3)
        self.conv2 = nn.Conv2d(6, 16, 3)
        # an affine operation: y = Wx + b
        self.fc1 = nn.Linear(16 * 6 * 6, 120) # 6*6 from image dimension
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):
        # Max pooling over a (2, 2) window
        x = F.max_pool2d(F.relu(self.conv1(x)), (2, 2))
        # If the size is a square you can only specify a single number
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = x.view(-1, self.num_flat_features(x))
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        x = self.fc3(x)
        return x

    def num_flat_features(self, x):
        size = x.size()[1:]  # all dimensions except the batch dimension
        num_features = 1
        for s in size:
            num_features *= s
        return num_features
"""

LOOP = """
# create your optimizer
optimizer = optim.SGD(net.parameters(), lr=0.01)

# in your training loop:
for input, target in batches:
    optimizer.zero_grad() # zero the gradient buffers
    output = net(input)
    loss = criterion(output, target)
    loss.backward()
    optimizer.step() # Does the update
    losses.append(loss.item())
"""


def net_class(nn, F):
    """The class, of the packages that are called nn and F there."""
    names = {"nn": nn, "F": F, "__name__": __name__}
    exec(SOURCE, names)
    return names["Net"]


def train(optim, net, criterion, batches):
    """Run the loop; the losses."""
    losses = []
    exec(
        LOOP,
        {"optim": optim, "net": net, "criterion": criterion, "batches": batches, "losses": losses},
    )
    return losses
