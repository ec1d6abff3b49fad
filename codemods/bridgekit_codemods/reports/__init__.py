"""What people and programs read: plain lines, a terminal's colours and progress, JSON."""
