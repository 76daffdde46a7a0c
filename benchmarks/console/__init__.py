"""The console, looked at: pictures of its pages, and how fast they answer."""
