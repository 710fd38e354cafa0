"""What is asked of every plug-in."""

import re
from dataclasses import MISSING, Field, fields
from typing import Annotated, Any, get_args, get_origin

from infoplane import registry
from infoplane.testing.candidate import Candidate, Rule


def says_what_it_is(candidate: Candidate) -> None:
    """The docstring's first line is a sentence, and every option has one line for the reader."""
    first = registry.summary(candidate.role, candidate.name)
    assert first.endswith((".", ":", "?")) or len(first) > 20, "the docstring's first line is a sentence"
    for option in fields(candidate.declared):
        assert get_origin(option.type) is Annotated, f"{option.name}: Annotated[type, 'one line for the reader']"
        _, *notes = get_args(option.type)
        assert any(isinstance(note, str) and note.strip() for note in notes), f"{option.name} has no description"


def needs_no_option_but_what_it_asks_for(candidate: Candidate) -> None:
    """Without options it can be made, or says '<option> is needed'."""
    options = candidate.declared
    if any(option.default is MISSING and option.default_factory is MISSING for option in fields(options)):
        return
    try:
        options()
    except ValueError as error:
        known = {option.name for option in fields(options)}
        asked = re.match(r"(\w+) is needed", str(error))
        assert asked and asked[1] in known, f"options() says: {error}"


def options_are_those_of_the_module(candidate: Candidate) -> None:
    """Options read from the source are those of the imported module."""
    module, read = candidate.module, candidate.declared
    if not hasattr(module, "Options"):
        assert not fields(read)
        return
    assert [_compared(one) for one in fields(read)] == [_compared(one) for one in fields(module.Options)]
    public = [[name for name in vars(one) if not name.startswith("_")] for one in (read, module.Options)]
    assert public[0] == public[1]


def _compared(option: Field[Any]) -> tuple[Any, ...]:
    return option.name, option.type, option.default, option.default_factory, option.kw_only


RULES: tuple[Rule, ...] = (
    says_what_it_is,
    needs_no_option_but_what_it_asks_for,
    options_are_those_of_the_module,
)
