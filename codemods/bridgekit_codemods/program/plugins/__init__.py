"""What single frameworks and libraries do with a program, one module for each thing they do."""
