"""Reading rows of X: dense rows, inputs that are not zero, sparse rows."""
