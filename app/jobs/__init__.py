"""Long work: taken in by a request, run in the background by whichever process is free."""
