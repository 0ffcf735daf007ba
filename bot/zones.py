"""Which time zone somebody means by what they type, or probably lives in."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import lru_cache
from importlib.resources import files
from zoneinfo import available_timezones

from bot.days import zone_of

# Abbreviations are ambiguous all over the world: each leads to the zones that most people mean by it.
_ABBREVIATIONS: dict[str, tuple[str, ...]] = {
    "utc": ("UTC",),
    "gmt": ("UTC", "Europe/London"),
    "z": ("UTC",),
    "ist": ("Asia/Kolkata", "Europe/Dublin", "Asia/Jerusalem"),
    "bst": ("Europe/London", "Asia/Dhaka"),
    "wet": ("Europe/Lisbon",),
    "west": ("Europe/Lisbon",),
    "cet": ("Europe/Berlin", "Europe/Paris", "Europe/Madrid", "Europe/Rome"),
    "cest": ("Europe/Berlin", "Europe/Paris"),
    "mez": ("Europe/Berlin",),
    "mesz": ("Europe/Berlin",),
    "eet": ("Europe/Helsinki", "Europe/Athens", "Europe/Kyiv", "Africa/Cairo"),
    "eest": ("Europe/Helsinki", "Europe/Athens", "Europe/Kyiv"),
    "msk": ("Europe/Moscow",),
    "trt": ("Europe/Istanbul",),
    "gst": ("Asia/Dubai",),
    "pkt": ("Asia/Karachi",),
    "npt": ("Asia/Kathmandu",),
    "ict": ("Asia/Bangkok", "Asia/Ho_Chi_Minh"),
    "wib": ("Asia/Jakarta",),
    "sgt": ("Asia/Singapore",),
    "hkt": ("Asia/Hong_Kong",),
    "jst": ("Asia/Tokyo",),
    "kst": ("Asia/Seoul",),
    "cst": ("America/Chicago", "Asia/Shanghai", "America/Mexico_City"),
    "cdt": ("America/Chicago",),
    "est": ("America/New_York", "America/Toronto", "Australia/Sydney"),
    "edt": ("America/New_York", "America/Toronto"),
    "mst": ("America/Denver", "America/Phoenix"),
    "mdt": ("America/Denver",),
    "pst": ("America/Los_Angeles", "America/Vancouver", "Asia/Manila"),
    "pdt": ("America/Los_Angeles", "America/Vancouver"),
    "akst": ("America/Anchorage",),
    "hst": ("Pacific/Honolulu",),
    "brt": ("America/Sao_Paulo",),
    "art": ("America/Argentina/Buenos_Aires",),
    "clt": ("America/Santiago",),
    "cot": ("America/Bogota",),
    "aest": ("Australia/Sydney", "Australia/Brisbane"),
    "aedt": ("Australia/Sydney",),
    "acst": ("Australia/Adelaide", "Australia/Darwin"),
    "awst": ("Australia/Perth",),
    "nzst": ("Pacific/Auckland",),
    "nzdt": ("Pacific/Auckland",),
    "sast": ("Africa/Johannesburg",),
    "wat": ("Africa/Lagos",),
    "eat": ("Africa/Nairobi",),
    "cat": ("Africa/Maputo",),
    "et": ("America/New_York",),
    "ct": ("America/Chicago",),
    "mt": ("America/Denver",),
    "pt": ("America/Los_Angeles",),
    "eastern": ("America/New_York",),
    "central": ("America/Chicago",),
    "mountain": ("America/Denver",),
    "pacific": ("America/Los_Angeles",),
}

# Large cities that name no zone of their own.
_CITIES: dict[str, str] = {
    "abu dhabi": "Asia/Dubai",
    "ahmedabad": "Asia/Kolkata",
    "aarhus": "Europe/Copenhagen",
    "antwerp": "Europe/Brussels",
    "atlanta": "America/New_York",
    "austin": "America/Chicago",
    "bangalore": "Asia/Kolkata",
    "bengaluru": "Asia/Kolkata",
    "barcelona": "Europe/Madrid",
    "basel": "Europe/Zurich",
    "beijing": "Asia/Shanghai",
    "bern": "Europe/Zurich",
    "birmingham": "Europe/London",
    "bologna": "Europe/Rome",
    "boston": "America/New_York",
    "brasilia": "America/Sao_Paulo",
    "bremen": "Europe/Berlin",
    "bristol": "Europe/London",
    "calcutta": "Asia/Kolkata",
    "calgary": "America/Edmonton",
    "cambridge": "Europe/London",
    "canberra": "Australia/Sydney",
    "cape town": "Africa/Johannesburg",
    "charlotte": "America/New_York",
    "chennai": "Asia/Kolkata",
    "cologne": "Europe/Berlin",
    "cordoba": "America/Argentina/Cordoba",
    "cracow": "Europe/Warsaw",
    "dallas": "America/Chicago",
    "delhi": "Asia/Kolkata",
    "dortmund": "Europe/Berlin",
    "dresden": "Europe/Berlin",
    "durban": "Africa/Johannesburg",
    "dusseldorf": "Europe/Berlin",
    "edinburgh": "Europe/London",
    "eindhoven": "Europe/Amsterdam",
    "essen": "Europe/Berlin",
    "florence": "Europe/Rome",
    "florianopolis": "America/Sao_Paulo",
    "frankfurt": "Europe/Berlin",
    "gdansk": "Europe/Warsaw",
    "geneva": "Europe/Zurich",
    "ghent": "Europe/Brussels",
    "glasgow": "Europe/London",
    "gothenburg": "Europe/Stockholm",
    "guadalajara": "America/Mexico_City",
    "guangzhou": "Asia/Shanghai",
    "gurgaon": "Asia/Kolkata",
    "haifa": "Asia/Jerusalem",
    "hamburg": "Europe/Berlin",
    "hangzhou": "Asia/Shanghai",
    "hannover": "Europe/Berlin",
    "hanoi": "Asia/Ho_Chi_Minh",
    "heidelberg": "Europe/Berlin",
    "houston": "America/Chicago",
    "hyderabad": "Asia/Kolkata",
    "islamabad": "Asia/Karachi",
    "izmir": "Europe/Istanbul",
    "jeddah": "Asia/Riyadh",
    "kharkiv": "Europe/Kyiv",
    "kiev": "Europe/Kyiv",
    "krakow": "Europe/Warsaw",
    "kyoto": "Asia/Tokyo",
    "lahore": "Asia/Karachi",
    "las vegas": "America/Los_Angeles",
    "lausanne": "Europe/Zurich",
    "leeds": "Europe/London",
    "leipzig": "Europe/Berlin",
    "lille": "Europe/Paris",
    "lviv": "Europe/Kyiv",
    "lyon": "Europe/Paris",
    "malmo": "Europe/Stockholm",
    "manchester": "Europe/London",
    "marseille": "Europe/Paris",
    "medellin": "America/Bogota",
    "miami": "America/New_York",
    "milan": "Europe/Rome",
    "minneapolis": "America/Chicago",
    "montreal": "America/Toronto",
    "mumbai": "Asia/Kolkata",
    "bombay": "Asia/Kolkata",
    "munich": "Europe/Berlin",
    "munchen": "Europe/Berlin",
    "nagoya": "Asia/Tokyo",
    "nantes": "Europe/Paris",
    "naples": "Europe/Rome",
    "nashville": "America/Chicago",
    "new delhi": "Asia/Kolkata",
    "nice": "Europe/Paris",
    "nuremberg": "Europe/Berlin",
    "nyc": "America/New_York",
    "orlando": "America/New_York",
    "osaka": "Asia/Tokyo",
    "ottawa": "America/Toronto",
    "oxford": "Europe/London",
    "palo alto": "America/Los_Angeles",
    "philadelphia": "America/New_York",
    "pittsburgh": "America/New_York",
    "portland": "America/Los_Angeles",
    "porto": "Europe/Lisbon",
    "poznan": "Europe/Warsaw",
    "pune": "Asia/Kolkata",
    "quebec": "America/Toronto",
    "raleigh": "America/New_York",
    "rio de janeiro": "America/Sao_Paulo",
    "rio": "America/Sao_Paulo",
    "rotterdam": "Europe/Amsterdam",
    "saigon": "Asia/Ho_Chi_Minh",
    "saint petersburg": "Europe/Moscow",
    "st petersburg": "Europe/Moscow",
    "salt lake city": "America/Denver",
    "salzburg": "Europe/Vienna",
    "san diego": "America/Los_Angeles",
    "san francisco": "America/Los_Angeles",
    "sf": "America/Los_Angeles",
    "san jose": "America/Los_Angeles",
    "seattle": "America/Los_Angeles",
    "sevilla": "Europe/Madrid",
    "seville": "Europe/Madrid",
    "shenzhen": "Asia/Shanghai",
    "stuttgart": "Europe/Berlin",
    "tampa": "America/New_York",
    "tel aviv": "Asia/Jerusalem",
    "the hague": "Europe/Amsterdam",
    "thessaloniki": "Europe/Athens",
    "toulouse": "Europe/Paris",
    "turin": "Europe/Rome",
    "utrecht": "Europe/Amsterdam",
    "valencia": "Europe/Madrid",
    "washington": "America/New_York",
    "washington dc": "America/New_York",
    "wellington": "Pacific/Auckland",
    "wroclaw": "Europe/Warsaw",
    "wuhan": "Asia/Shanghai",
    "yokohama": "Asia/Tokyo",
    "la": "America/Los_Angeles",
    "uk": "Europe/London",
    "england": "Europe/London",
    "scotland": "Europe/London",
    "wales": "Europe/London",
    "uae": "Asia/Dubai",
    "korea": "Asia/Seoul",
    "holland": "Europe/Amsterdam",
}

# Countries of many zones, the most people first.
_COUNTRIES: dict[str, tuple[str, ...]] = {
    "usa": ("America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles", "America/Anchorage", "Pacific/Honolulu"),
    "canada": ("America/Toronto", "America/Vancouver", "America/Edmonton", "America/Winnipeg", "America/Halifax", "America/St_Johns"),
    "mexico": ("America/Mexico_City", "America/Tijuana", "America/Monterrey", "America/Cancun"),
    "brazil": ("America/Sao_Paulo", "America/Bahia", "America/Fortaleza", "America/Manaus", "America/Recife", "America/Belem"),
    "australia": (
        "Australia/Sydney",
        "Australia/Melbourne",
        "Australia/Brisbane",
        "Australia/Perth",
        "Australia/Adelaide",
        "Australia/Darwin",
    ),
    "russia": ("Europe/Moscow", "Europe/Samara", "Asia/Yekaterinburg", "Asia/Novosibirsk", "Asia/Krasnoyarsk", "Asia/Vladivostok"),
    "indonesia": ("Asia/Jakarta", "Asia/Makassar", "Asia/Jayapura"),
    "china": ("Asia/Shanghai",),
    "spain": ("Europe/Madrid", "Atlantic/Canary"),
    "portugal": ("Europe/Lisbon", "Atlantic/Azores", "Atlantic/Madeira"),
    "germany": ("Europe/Berlin",),
    "ukraine": ("Europe/Kyiv",),
    "argentina": ("America/Argentina/Buenos_Aires",),
    "chile": ("America/Santiago",),
    "new zealand": ("Pacific/Auckland",),
    "turkey": ("Europe/Istanbul",),
    "vietnam": ("Asia/Ho_Chi_Minh",),
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


def find(text: str, now: datetime) -> tuple[str, ...]:
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
        return find(bare, now)
    if "," in asked:
        return find(asked.split(",")[0], now)
    return _by_likeness(asked, names)


def _by_offset(match: re.Match[str], now: datetime) -> tuple[str, ...]:
    minutes = int(match.group(2)) * 60 + int(match.group(3) or 0)
    minutes = -minutes if match.group(1) != "+" else minutes
    if not -720 <= minutes <= 840 or int(match.group(3) or 0) > 59:
        return ()
    near = [zone for zone in _OFFSETS.get(minutes, ()) if now.astimezone(zone_of(zone)).utcoffset() == timedelta(minutes=minutes)]
    if minutes % 60 == 0 and minutes:
        near.append(f"Etc/GMT{-minutes // 60:+d}")
    if not near:
        near = [zone for zone in sorted(_real_zones()) if now.astimezone(zone_of(zone)).utcoffset() == timedelta(minutes=minutes)]
    return tuple(near[:MOST_ZONES])


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


# ---------------------------------------------------------------------------------------------- a first guess

_ZONES_BY_LANGUAGE: dict[str, tuple[str, ...]] = {
    "de": ("Europe/Berlin", "Europe/Vienna", "Europe/Zurich"), "fr": ("Europe/Paris", "Europe/Brussels", "America/Toronto"),
    "es": ("Europe/Madrid", "America/Mexico_City", "America/Bogota", "America/Argentina/Buenos_Aires"), "it": ("Europe/Rome",),
    "pt": ("Europe/Lisbon", "America/Sao_Paulo"), "pt-br": ("America/Sao_Paulo",), "nl": ("Europe/Amsterdam",), "pl": ("Europe/Warsaw",),
    "ru": ("Europe/Moscow", "Asia/Yekaterinburg", "Asia/Almaty"), "uk": ("Europe/Kyiv",), "tr": ("Europe/Istanbul",), "hi": ("Asia/Kolkata",),
    "ar": ("Asia/Dubai", "Asia/Riyadh", "Africa/Cairo"), "he": ("Asia/Jerusalem",), "fa": ("Asia/Tehran",), "id": ("Asia/Jakarta",),
    "ja": ("Asia/Tokyo",), "ko": ("Asia/Seoul",), "zh": ("Asia/Shanghai", "Asia/Taipei", "Asia/Singapore"), "vi": ("Asia/Ho_Chi_Minh",),
    "en-gb": ("Europe/London",), "en-in": ("Asia/Kolkata",), "en-au": ("Australia/Sydney",), "sv": ("Europe/Stockholm",), "cs": ("Europe/Prague",),
}  # fmt: skip
_ANYWHERE = ("Europe/London", "America/New_York", "America/Los_Angeles", "Asia/Kolkata", "Europe/Berlin", "UTC")


def likely(language: str) -> tuple[str, ...]:
    """Up to six zones in which a person with this language (IETF tag) may live."""
    tag = language.lower()
    near = _ZONES_BY_LANGUAGE.get(tag) or _ZONES_BY_LANGUAGE.get(tag.split("-")[0], ())
    return tuple(dict.fromkeys((*near, *_ANYWHERE)))[:6]


# ---------------------------------------------------------------------------------------------- while somebody types


def beginning(text: str, now: datetime) -> tuple[str, ...]:
    """The zones whose city, country or name begins with `text`, or has a word that does; else what `find` makes of it."""
    asked = " ".join(text.strip().lower().replace("_", " ").split())
    if not asked:
        return likely("")
    names = _names()
    first = [zone for name, zones in names.items() if name.startswith(asked) for zone in zones]
    later = [zone for name, zones in names.items() if re.search(rf"[ /-]{re.escape(asked)}", name) for zone in zones]
    plain = find(text, now) if asked in names or not first else ()
    return tuple(dict.fromkeys((*plain, *first, *later)))
