"""What the package is made of: modules, types, documentation, the suite itself."""
