"""What an entry of the config is made of, and what the kinds of methods and providers say of themselves."""
