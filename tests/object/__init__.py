"""What every object can do: sharing, names, references, subclasses, errors."""
