"""The platforms, one file each. How to write one:

An adapter MUST
- build a `bot.Message` from whatever its platform sends, with a key that is the same when the platform repeats itself,
  and hand it to `Coach.handle`;
- take the raw update into the inbox before the platform is told that it arrived;
- implement `bot.ports.Adapter`: `platform`, `pace`, and `send`, which draws a Reply and raises the engine's own
  errors (`SendLater`, `SendUnclear`, `SendRefused`, `AddressGone`) instead of its library's;
- draw spans as the platform's formatting, with every word escaped, and cut pages with `bot.pages`;
- send a reply's files with it, pictures shown, and say what `File.says` where the platform has a place for it;
- show every Choice as a button whose press is the same as typing its text;
- log ids only: never a word, a name or a token.

An adapter MAY show that the coach is typing, and leave out a style that its platform can't draw. It MAY take recordings: a
Message with a `Recording` goes to `Coach.hear` with a way to fetch it, in no order with what the same person types (its inbox
entry's person is theirs and " aloud"), and a Reply's `note` is sent as the platform's voice message.

It MUST NOT read questions, grade, keep a learner's state, or know another adapter.
"""
