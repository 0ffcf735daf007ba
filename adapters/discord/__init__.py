"""Discord, through discord.py: interactions and private messages become Messages, Replies become Markdown with buttons.

An Address here is a person, never a place: `Address("discord", user, user)` is "this person, in private", whatever channel
they wrote from. Where an answer is shown follows from what it answers: an interaction in a server is answered in that
server, for this person's eyes only, as long as its token lives; everything else, and that too once the token is gone (after
15 minutes or a restart), goes to the private chat. So the home of a learner is always the private chat, and what a person
is told in a server is never read by others.

Plain messages in servers are never read: the intents are those of servers and private messages, none privileged.
"""

from adapters.discord.platform import Discord

__all__ = ["Discord"]
