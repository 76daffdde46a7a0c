"""The bodies of requests and answers, as clients see them; one file per subject."""
