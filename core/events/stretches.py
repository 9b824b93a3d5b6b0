"""Rounds of records into the columns of their run."""

from pathlib import Path

import numpy as np

from core.events.found import Events, Others
from core.events.rounds import Stretch
from core.events.templates import SCALARS, Slot, Template
from core.log_files.points import repeated


def add_stretch(stretch: Stretch, file: Path, offset: int, events: Events) -> None:
    """Adds the numbers of a stretch that begins at a byte of the file, in its order."""
    template, rounds = stretch.template, len(stretch.step)
    events.records += rounds * len(template.starts)
    known = events.names.tags
    tags = [known.setdefault(slot.tag, len(known)) for slot in template.slots]
    others = {} if template.is_plain else _others(template, tags, events)
    wanted = slice(None)
    if others:
        wanted = [place for place in range(len(tags)) if place not in others]
    codes, *rest = events.columns
    codes.append(repeated(np.array(tags, np.int32)[wanted], rounds))
    parts = stretch.step, stretch.wall_time, stretch.numbers
    for column, part in zip(rest, parts, strict=True):
        column.append(part[:, wanted].ravel())
    for place, plugin in others.items():
        _keep_other(stretch, place, plugin, tags[place], file, offset, events)


def _others(template: Template, tags: list[int], events: Events) -> dict[int, str]:
    """The plug-ins of the slots that are no scalars."""
    plugins = (_plugin(tag, slot, events) for tag, slot in zip(tags, template.slots, strict=True))
    return {place: plugin for place, plugin in enumerate(plugins) if plugin is not None}


def _plugin(tag: int, slot: Slot, events: Events) -> str | None:
    """What the first metadata of the tag says, None for a scalar, as it is without any."""
    if slot.plugin is not None:
        code = events.names.plugins.setdefault(slot.plugin, len(events.names.plugins))
        events.plugin_of_tag.setdefault(tag, code)
    if slot.kind == "simple" or tag not in events.plugin_of_tag:
        return None
    name = list(events.names.plugins)[events.plugin_of_tag[tag]]
    return None if name == SCALARS else name


def _keep_other(stretch: Stretch, place: int, plugin: str, tag: int, file: Path, offset: int,
                events: Events) -> None:
    """A tensor of one number that belongs to another plug-in."""
    template = stretch.template
    record = template.slots[place].record
    edges = [*template.starts.tolist(), len(template.row)]
    rounds = len(stretch.step)
    byte = offset + edges[record] + np.arange(rounds) * len(template.row)
    size = np.full(rounds, edges[record + 1] - edges[record])
    events.others.append(Others(plugin, file, np.full(rounds, tag, np.int32),
                                stretch.step[:, place], stretch.wall_time[:, place], byte, size))
