"""Ways of judging a reply, one per file; all of them wear the shape of `bot.ports.Grader`."""
