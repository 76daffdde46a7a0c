"""Small training runs that show what each family of SE networks learns, with and without SE."""
