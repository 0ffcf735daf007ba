"""What an author of questions does at the command line: check them all, begin one, try one, and see how they are spread."""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from bot.config import settings
from bot.content import Library, Question, default_folder, read, whole
from bot.errors import CoachError
from bot.grading import Judge, explain, offline
from bot.grading.plain import PlainGrader
from bot.grading.proof import untrue

FEW = 0.1
"""Share of a pack below which a level is thin."""

ALIKE = 30
"""Pairs of like questions that are printed."""

SKELETON = '''
[[questions]]
id = "{id}"
title = "TODO: a few words that name it in lists"
level = 3                               # 1 screening .. 5 senior or staff
tracks = ["ml"]
competencies = ["fundamentals"]
prompt = "TODO: a situation, and one thing to do about it."
wordings = ["TODO: another way to ask it.", "TODO: a third way."]
hints = ["TODO: a nudge.", "TODO: a stronger nudge that doesn't give it away."]
sources = ["TODO: book and chapter, paper, or official documentation"]
answer = """
TODO: 80-200 words as one would say them. Every point in a sentence of its own.
"""
{points}
{misconceptions}
{followups}'''

_POINT = '''
[[questions.points]]
id = "point-{n}"
weight = {weight}
{core}statement = "TODO: one claim that can be true or false."
phrasings = ["TODO 1", "TODO 2", "TODO 3", "TODO 4", "TODO 5", "TODO 6"]
contrary = ["TODO: the same words turned round", "TODO: swapped"]
'''

_MISCONCEPTION = '''
[[questions.misconceptions]]
id = "belief-{n}"
statement = "TODO: something false that people really say."
phrasings = ["TODO 1", "TODO 2", "TODO 3"]
correction = "TODO: what is true instead."
reverses = "point-1"
'''

_FOLLOWUP = '''
[[questions.followups]]
id = "next-{n}"
when = "{when}"
prompt = "TODO: what a good interviewer asks then."
answer = "TODO: what a good reply says."
[[questions.followups.points]]
id = "it"
weight = 2
statement = "TODO: one claim."
phrasings = ["TODO 1", "TODO 2", "TODO 3"]
'''


def check(options: argparse.Namespace) -> int:
    """Prints every problem of every question, or the questions that are most alike; 1 where there is a problem."""
    known = settings()
    library, problems = read(options.folder or default_folder())
    if options.similar:
        for line in _similar(library, *_judge(library)):
            print(line)
        return 0
    problems += whole(library)
    if not problems or options.all:
        problems += untrue(library, PlainGrader(), known.cache)
        if not options.plain:
            problems += untrue(library, _judge(library)[0], known.cache)
    for problem in problems:
        print(problem)
    required = library.syllabus.required
    present = sum(id in library.questions for id in required)
    print(f"questions: {len(library.questions)}; of the syllabus: {present} of {len(required)}; problems: {len(problems)}")
    return 1 if problems else 0
