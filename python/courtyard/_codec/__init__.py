"""What the native codec asks of Python: for what is seldom, and long in Rust."""
