"""What the program model costs, in time and memory, by the size of the program."""
