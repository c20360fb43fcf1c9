"""Where the core runs: a container worker, and a thin Azure Functions app."""
