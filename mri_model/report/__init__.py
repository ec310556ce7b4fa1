"""What people read: text for the terminal, tables and learning curves."""
