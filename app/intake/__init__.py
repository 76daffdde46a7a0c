"""A job's images on their way in: forms, archives and folders become one spool."""
