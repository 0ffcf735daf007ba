"""Zones, local days, due times and the streak: what day it is for somebody, decided in one place.

No clock is read here: `now` is always an argument, in UTC.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta, timezone
from functools import lru_cache
from importlib.resources import files
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from bot.model import Practised


def zone_of(name: str) -> ZoneInfo:
    """The zone of an IANA name; UTC where this machine's data doesn't know it any more."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def local_day(instant: datetime, zone: str) -> date:
    """The calendar day at `instant` (UTC) for somebody in `zone`."""
    return instant.astimezone(zone_of(zone)).date()


def at_local(day: date, minute: int, zone: str) -> datetime:
    """The instant (UTC) at which `day`'s clock in `zone` shows `minute` (0..1439 after midnight).

    A time that comes twice is taken the first time. A time that the clocks skip is moved forward by the gap; where that
    would leave the day (a gap up to midnight) it is the day's last minute before the gap. A day that the zone
    skipped whole (Samoa, 30 December 2011) has no such instant: the next one that exists is returned.
    """
    tz = zone_of(zone)
    wall = datetime.combine(day, time(minute // 60, minute % 60), tzinfo=tz)
    instant = wall.astimezone(UTC)
    if instant.astimezone(tz).replace(tzinfo=None) == wall.replace(tzinfo=None):
        return instant
    if instant.astimezone(tz).date() == day:
        return instant
    earlier = datetime.combine(day, time(0), tzinfo=tz)
    for step in range(minute, -1, -1):
        probe = (earlier + timedelta(minutes=step)).replace(tzinfo=tz).astimezone(UTC)
        back = probe.astimezone(tz)
        if back.date() == day and (back.hour * 60 + back.minute) == step:
            return probe
    return instant


def next_due(minute: int, zone: str, now: datetime, *, after_day: date | None = None) -> datetime:
    """The first instant after `now` at which the local clock shows `minute`, on a local day later than `after_day`."""
    day = local_day(now, zone)
    if after_day is not None and after_day >= day:
        day = after_day + timedelta(days=1)
    due = at_local(day, minute, zone)
    while due <= now or (after_day is not None and local_day(due, zone) <= after_day):
        day += timedelta(days=1)
        due = at_local(day, minute, zone)
    return due


def slot(due_at: datetime, minute: int, zone: str, now: datetime) -> tuple[date | None, datetime]:
    """What is owed by a due time that has come: the local day whose question is to go out now, and the due time after it.

    After a time without a coach only today's question is owed, never those of the days before; None where today's own
    time is still to come.
    """
    today = local_day(now, zone)
    day = local_day(due_at, zone)
    if day < today:
        todays = at_local(today, minute, zone)
        if todays > now:
            return None, todays
        day = today
    return day, next_due(minute, zone, now, after_day=day)


def days_practised(ledger: Iterable[Practised]) -> frozenset[date]:
    """The local days of a ledger, each in the zone that held when it happened."""
    return frozenset(local_day(entry.at, entry.zone) for entry in ledger)


def streak(days: frozenset[date], today: date) -> int:
    """Days in a row up to today, or up to yesterday while today may still come."""
    day = today if today in days else today - timedelta(days=1)
    count = 0
    while day in days:
        count += 1
        day -= timedelta(days=1)
    return count


def longest_streak(days: frozenset[date]) -> int:
    return max((streak(days, day) for day in days if day + timedelta(days=1) not in days), default=0)


# ---------------------------------------------------------------------------------------------- times of day

_TIME = re.compile(r"(\d{1,2})(?:[:.h](\d{2}))?\s*(am|pm|a\.m\.|p\.m\.|h|uhr|o'clock)?\Z", re.IGNORECASE)


def minute_of(text: str) -> int | None:
    """Minutes after midnight (0..1439) of "9", "09:00", "9.30 pm", "21h15", "noon"; None where it is no time."""
    text = text.strip().lower()
    named = {"noon": 720, "midday": 720, "midnight": 0, "morning": 540, "evening": 1140}
    if text in named:
        return named[text]
    if re.fullmatch(r"([01]\d|2[0-3])[0-5]\d", text):
        return int(text[:2]) * 60 + int(text[2:])
    match = _TIME.match(text)
    if match is None:
        return None
    hour, minute = int(match.group(1)), int(match.group(2) or 0)
    half = (match.group(3) or "").replace(".", "")
    if half in ("am", "pm"):
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half == "pm" else 0)
    return hour * 60 + minute if hour < 24 and minute < 60 else None


def clock(minute: int) -> str:
    """"09:05" for 545."""
    return f"{minute // 60:02d}:{minute % 60:02d}"


# ---------------------------------------------------------------------------------------------- finding a zone

# Abbreviations are ambiguous all over the world: each leads to the zones that most people mean by it.
_ABBREVIATIONS: dict[str, tuple[str, ...]] = {
    "utc": ("UTC",), "gmt": ("UTC", "Europe/London"), "z": ("UTC",),
    "ist": ("Asia/Kolkata", "Europe/Dublin", "Asia/Jerusalem"),
    "bst": ("Europe/London", "Asia/Dhaka"), "wet": ("Europe/Lisbon",), "west": ("Europe/Lisbon",),
    "cet": ("Europe/Berlin", "Europe/Paris", "Europe/Madrid", "Europe/Rome"), "cest": ("Europe/Berlin", "Europe/Paris"),
    "mez": ("Europe/Berlin",), "mesz": ("Europe/Berlin",),
    "eet": ("Europe/Helsinki", "Europe/Athens", "Europe/Kyiv", "Africa/Cairo"), "eest": ("Europe/Helsinki", "Europe/Athens", "Europe/Kyiv"),
    "msk": ("Europe/Moscow",), "trt": ("Europe/Istanbul",), "gst": ("Asia/Dubai",), "pkt": ("Asia/Karachi",),
    "npt": ("Asia/Kathmandu",), "ict": ("Asia/Bangkok", "Asia/Ho_Chi_Minh"), "wib": ("Asia/Jakarta",),
    "sgt": ("Asia/Singapore",), "hkt": ("Asia/Hong_Kong",), "jst": ("Asia/Tokyo",), "kst": ("Asia/Seoul",),
    "cst": ("America/Chicago", "Asia/Shanghai", "America/Mexico_City"), "cdt": ("America/Chicago",),
    "est": ("America/New_York", "America/Toronto", "Australia/Sydney"), "edt": ("America/New_York", "America/Toronto"),
    "mst": ("America/Denver", "America/Phoenix"), "mdt": ("America/Denver",),
    "pst": ("America/Los_Angeles", "America/Vancouver", "Asia/Manila"), "pdt": ("America/Los_Angeles", "America/Vancouver"),
    "akst": ("America/Anchorage",), "hst": ("Pacific/Honolulu",), "brt": ("America/Sao_Paulo",),
    "art": ("America/Argentina/Buenos_Aires",), "clt": ("America/Santiago",), "cot": ("America/Bogota",),
    "aest": ("Australia/Sydney", "Australia/Brisbane"), "aedt": ("Australia/Sydney",), "acst": ("Australia/Adelaide", "Australia/Darwin"),
    "awst": ("Australia/Perth",), "nzst": ("Pacific/Auckland",), "nzdt": ("Pacific/Auckland",),
    "sast": ("Africa/Johannesburg",), "wat": ("Africa/Lagos",), "eat": ("Africa/Nairobi",), "cat": ("Africa/Maputo",),
    "et": ("America/New_York",), "ct": ("America/Chicago",), "mt": ("America/Denver",), "pt": ("America/Los_Angeles",),
    "eastern": ("America/New_York",), "central": ("America/Chicago",), "mountain": ("America/Denver",), "pacific": ("America/Los_Angeles",),
}

# Large cities that name no zone of their own.
_CITIES: dict[str, str] = {
    "abu dhabi": "Asia/Dubai", "ahmedabad": "Asia/Kolkata", "aarhus": "Europe/Copenhagen", "antwerp": "Europe/Brussels",
    "atlanta": "America/New_York", "austin": "America/Chicago", "bangalore": "Asia/Kolkata", "bengaluru": "Asia/Kolkata",
    "barcelona": "Europe/Madrid", "basel": "Europe/Zurich", "beijing": "Asia/Shanghai", "bern": "Europe/Zurich",
    "birmingham": "Europe/London", "bologna": "Europe/Rome", "boston": "America/New_York", "brasilia": "America/Sao_Paulo",
    "bremen": "Europe/Berlin", "bristol": "Europe/London", "calcutta": "Asia/Kolkata", "calgary": "America/Edmonton",
    "cambridge": "Europe/London", "canberra": "Australia/Sydney", "cape town": "Africa/Johannesburg",
    "charlotte": "America/New_York", "chennai": "Asia/Kolkata", "cologne": "Europe/Berlin", "cordoba": "America/Argentina/Cordoba",
    "cracow": "Europe/Warsaw", "dallas": "America/Chicago", "delhi": "Asia/Kolkata", "dortmund": "Europe/Berlin",
    "dresden": "Europe/Berlin", "durban": "Africa/Johannesburg", "dusseldorf": "Europe/Berlin", "edinburgh": "Europe/London",
    "eindhoven": "Europe/Amsterdam", "essen": "Europe/Berlin", "florence": "Europe/Rome", "florianopolis": "America/Sao_Paulo",
    "frankfurt": "Europe/Berlin", "gdansk": "Europe/Warsaw", "geneva": "Europe/Zurich", "ghent": "Europe/Brussels",
    "glasgow": "Europe/London", "gothenburg": "Europe/Stockholm", "guadalajara": "America/Mexico_City",
    "guangzhou": "Asia/Shanghai", "gurgaon": "Asia/Kolkata", "haifa": "Asia/Jerusalem", "hamburg": "Europe/Berlin",
    "hangzhou": "Asia/Shanghai", "hannover": "Europe/Berlin", "hanoi": "Asia/Ho_Chi_Minh", "heidelberg": "Europe/Berlin",
    "houston": "America/Chicago", "hyderabad": "Asia/Kolkata", "islamabad": "Asia/Karachi", "izmir": "Europe/Istanbul",
    "jeddah": "Asia/Riyadh", "kharkiv": "Europe/Kyiv", "kiev": "Europe/Kyiv", "krakow": "Europe/Warsaw",
    "kyoto": "Asia/Tokyo", "lahore": "Asia/Karachi", "las vegas": "America/Los_Angeles", "lausanne": "Europe/Zurich",
    "leeds": "Europe/London", "leipzig": "Europe/Berlin", "lille": "Europe/Paris", "lviv": "Europe/Kyiv", "lyon": "Europe/Paris",
    "malmo": "Europe/Stockholm", "manchester": "Europe/London", "marseille": "Europe/Paris", "medellin": "America/Bogota",
    "miami": "America/New_York", "milan": "Europe/Rome", "minneapolis": "America/Chicago", "montreal": "America/Toronto",
    "mumbai": "Asia/Kolkata", "bombay": "Asia/Kolkata", "munich": "Europe/Berlin", "munchen": "Europe/Berlin",
    "nagoya": "Asia/Tokyo", "nantes": "Europe/Paris", "naples": "Europe/Rome", "nashville": "America/Chicago",
    "new delhi": "Asia/Kolkata", "nice": "Europe/Paris", "nuremberg": "Europe/Berlin", "nyc": "America/New_York",
    "orlando": "America/New_York", "osaka": "Asia/Tokyo", "ottawa": "America/Toronto", "oxford": "Europe/London",
    "palo alto": "America/Los_Angeles", "philadelphia": "America/New_York", "pittsburgh": "America/New_York",
    "portland": "America/Los_Angeles", "porto": "Europe/Lisbon", "poznan": "Europe/Warsaw", "pune": "Asia/Kolkata",
    "quebec": "America/Toronto", "raleigh": "America/New_York", "rio de janeiro": "America/Sao_Paulo", "rio": "America/Sao_Paulo",
    "rotterdam": "Europe/Amsterdam", "saigon": "Asia/Ho_Chi_Minh", "saint petersburg": "Europe/Moscow",
    "st petersburg": "Europe/Moscow", "salt lake city": "America/Denver", "salzburg": "Europe/Vienna",
    "san diego": "America/Los_Angeles", "san francisco": "America/Los_Angeles", "sf": "America/Los_Angeles",
    "san jose": "America/Los_Angeles", "seattle": "America/Los_Angeles", "sevilla": "Europe/Madrid", "seville": "Europe/Madrid",
    "shenzhen": "Asia/Shanghai", "stuttgart": "Europe/Berlin", "tampa": "America/New_York", "tel aviv": "Asia/Jerusalem",
    "the hague": "Europe/Amsterdam", "thessaloniki": "Europe/Athens", "toulouse": "Europe/Paris", "turin": "Europe/Rome",
    "utrecht": "Europe/Amsterdam", "valencia": "Europe/Madrid", "washington": "America/New_York", "washington dc": "America/New_York",
    "wellington": "Pacific/Auckland", "wroclaw": "Europe/Warsaw", "wuhan": "Asia/Shanghai", "yokohama": "Asia/Tokyo",
    "la": "America/Los_Angeles", "uk": "Europe/London", "england": "Europe/London",
    "scotland": "Europe/London", "wales": "Europe/London", "uae": "Asia/Dubai", "korea": "Asia/Seoul", "holland": "Europe/Amsterdam",
}

# Countries of many zones, the most people first.
_COUNTRIES: dict[str, tuple[str, ...]] = {
    "usa": ("America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles", "America/Anchorage", "Pacific/Honolulu"),
    "canada": ("America/Toronto", "America/Vancouver", "America/Edmonton", "America/Winnipeg", "America/Halifax", "America/St_Johns"),
    "mexico": ("America/Mexico_City", "America/Tijuana", "America/Monterrey", "America/Cancun"),
    "brazil": ("America/Sao_Paulo", "America/Bahia", "America/Fortaleza", "America/Manaus", "America/Recife", "America/Belem"),
    "australia": ("Australia/Sydney", "Australia/Melbourne", "Australia/Brisbane", "Australia/Perth", "Australia/Adelaide", "Australia/Darwin"),
    "russia": ("Europe/Moscow", "Europe/Samara", "Asia/Yekaterinburg", "Asia/Novosibirsk", "Asia/Krasnoyarsk", "Asia/Vladivostok"),
    "indonesia": ("Asia/Jakarta", "Asia/Makassar", "Asia/Jayapura"), "china": ("Asia/Shanghai",),
    "spain": ("Europe/Madrid", "Atlantic/Canary"), "portugal": ("Europe/Lisbon", "Atlantic/Azores", "Atlantic/Madeira"),
    "germany": ("Europe/Berlin",), "ukraine": ("Europe/Kyiv",), "argentina": ("America/Argentina/Buenos_Aires",),
    "chile": ("America/Santiago",), "new zealand": ("Pacific/Auckland",), "turkey": ("Europe/Istanbul",), "vietnam": ("Asia/Ho_Chi_Minh",),
}
_COUNTRIES["united states"] = _COUNTRIES["america"] = _COUNTRIES["us"] = _COUNTRIES["usa"]

# What people with a whole or half hour's offset mostly mean.
_OFFSETS: dict[int, tuple[str, ...]] = {
    -600: ("Pacific/Honolulu",), -540: ("America/Anchorage",), -480: ("America/Los_Angeles", "America/Vancouver"),
    -420: ("America/Denver", "America/Phoenix", "America/Los_Angeles"), -360: ("America/Chicago", "America/Mexico_City", "America/Denver"),
    -300: ("America/New_York", "America/Bogota", "America/Lima", "America/Chicago"),
    -240: ("America/Santiago", "America/Halifax", "America/New_York"), -210: ("America/St_Johns",),
    -180: ("America/Sao_Paulo", "America/Argentina/Buenos_Aires"), -120: ("America/Noronha",), -60: ("Atlantic/Azores",),
    0: ("UTC", "Europe/London", "Europe/Lisbon", "Africa/Accra"), 60: ("Europe/Berlin", "Europe/London", "Africa/Lagos"),
    120: ("Europe/Berlin", "Europe/Helsinki", "Africa/Cairo", "Africa/Johannesburg"),
    180: ("Europe/Moscow", "Europe/Istanbul", "Asia/Riyadh", "Europe/Helsinki"), 210: ("Asia/Tehran",), 240: ("Asia/Dubai", "Asia/Tbilisi"),
    270: ("Asia/Kabul",), 300: ("Asia/Karachi", "Asia/Tashkent"), 330: ("Asia/Kolkata", "Asia/Colombo"), 345: ("Asia/Kathmandu",),
    360: ("Asia/Dhaka", "Asia/Almaty"), 390: ("Asia/Yangon",), 420: ("Asia/Bangkok", "Asia/Jakarta", "Asia/Ho_Chi_Minh"),
    480: ("Asia/Singapore", "Asia/Shanghai", "Australia/Perth", "Asia/Manila"), 525: ("Australia/Eucla",), 540: ("Asia/Tokyo", "Asia/Seoul"),
    570: ("Australia/Adelaide", "Australia/Darwin"), 600: ("Australia/Sydney", "Australia/Brisbane"),
    630: ("Australia/Adelaide", "Australia/Lord_Howe"), 660: ("Australia/Sydney", "Pacific/Noumea"),
    720: ("Pacific/Auckland", "Pacific/Fiji"), 765: ("Pacific/Chatham",), 780: ("Pacific/Auckland", "Pacific/Tongatapu"), 840: ("Pacific/Kiritimati",),
}  # fmt: skip

_OFFSET = re.compile(r"(?:utc|gmt)?\s*([+\-\u2212])\s*(\d{1,2})(?::?(\d{2}))?\Z", re.IGNORECASE)
MOST_ZONES = 6


def find_zones(text: str, now: datetime) -> tuple[str, ...]:
    """The zones that `text` may mean, likeliest first; one where it is plain, at most 6, none where nothing is near.

    Understands IANA names in any case, cities, countries, abbreviations, offsets from UTC and small typos.
    `now` settles which zones have an offset at present.
    """
    asked = " ".join(text.strip().lower().replace("_", " ").split())
    if not asked or len(asked) > 64:
        return ()
    offset = _OFFSET.match(asked)
    if offset is not None:
        return _by_offset(offset, now)
    if asked in _ABBREVIATIONS:
        return _ABBREVIATIONS[asked]
    names = _names()
    if asked in names:
        return names[asked][:MOST_ZONES]
    bare = re.sub(r"[,;]?\s*(?:time|timezone|time zone|tz)\Z", "", asked)
    if bare != asked and bare:
        return find_zones(bare, now)
    if "," in asked:
        return find_zones(asked.split(",")[0], now)
    return _by_likeness(asked, names)


def _by_offset(match: re.Match[str], now: datetime) -> tuple[str, ...]:
    minutes = int(match.group(2)) * 60 + int(match.group(3) or 0)
    minutes = -minutes if match.group(1) != "+" else minutes
    if not -720 <= minutes <= 840 or int(match.group(3) or 0) > 59:
        return ()
    likely = [
        zone for zone in _OFFSETS.get(minutes, ()) if now.astimezone(zone_of(zone)).utcoffset() == timedelta(minutes=minutes)
    ]
    if minutes % 60 == 0 and minutes:
        likely.append(f"Etc/GMT{-minutes // 60:+d}")
    if not likely:
        wanted = timezone(timedelta(minutes=minutes)).utcoffset(None)
        likely = [z for z in sorted(_real_zones()) if now.astimezone(zone_of(z)).utcoffset() == wanted]
    return tuple(likely[:MOST_ZONES])


def _by_likeness(asked: str, names: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    from rapidfuzz import process
    from rapidfuzz.distance import OSA

    found = process.extract(asked, list(names), scorer=OSA.normalized_similarity, score_cutoff=0.72, limit=8)
    if not found:
        return ()
    best = found[0][1]
    near = [name for name, score, _ in found if score >= best - 0.04]
    return tuple(dict.fromkeys(zone for name in near for zone in names[name]))[:MOST_ZONES]


def _real_zones() -> frozenset[str]:
    areas = ("Africa/", "America/", "Antarctica/", "Arctic/", "Asia/", "Atlantic/", "Australia/", "Europe/", "Indian/", "Pacific/")
    return frozenset(name for name in available_timezones() if name.startswith(areas) or name == "UTC")


@lru_cache(maxsize=1)
def _names() -> dict[str, tuple[str, ...]]:
    """Every name a person may type, in lower case with spaces, to the zones that it may mean."""
    names: dict[str, list[str]] = {}
    for zone in sorted(_real_zones()):
        plain = zone.lower().replace("_", " ")
        names.setdefault(plain, []).append(zone)
        city = plain.rsplit("/", 1)[-1]
        names.setdefault(city, []).append(zone)
        names.setdefault(city.replace("-", " "), []).append(zone)
    for city, zone in _CITIES.items():
        names[city] = [zone]
    for country, zones in _countries().items():
        names.setdefault(country, []).extend(zones)
    names.update({country: list(zones) for country, zones in _COUNTRIES.items()})
    for alias in ("etc/utc", "etc/gmt", "greenwich", "zulu"):
        names[alias] = ["UTC"]
    return {name: zones if name in _COUNTRIES else _settled(zones) for name, zones in _once(names)}


def _once(names: dict[str, list[str]]) -> Iterable[tuple[str, tuple[str, ...]]]:
    return ((name, tuple(dict.fromkeys(zones))) for name, zones in names.items())


def _settled(zones: tuple[str, ...]) -> tuple[str, ...]:
    """Without the old spellings of one zone ("America/Buenos_Aires" beside "America/Argentina/Buenos_Aires")."""
    if len(zones) < 2:
        return zones
    listed = tuple(zone for zone in zones if zone in _listed())
    return listed or zones[:1]


@lru_cache(maxsize=1)
def _listed() -> frozenset[str]:
    return frozenset(line.split("\t")[2] for line in _table("zone.tab")) | {"UTC"}


def _countries() -> dict[str, list[str]]:
    codes = {line.split("\t")[0]: line.split("\t")[1].lower() for line in _table("iso3166.tab")}
    countries: dict[str, list[str]] = {}
    for line in _table("zone.tab"):
        code, _, zone = line.split("\t")[:3]
        countries.setdefault(codes.get(code, code.lower()), []).append(zone)
    return countries


def _table(name: str) -> list[str]:
    text = files("tzdata").joinpath("zoneinfo", name).read_text("utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]
