"""Settings, read from the environment and from a file `.env`; every one is described in `.env.example`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from platformdirs import user_cache_path, user_data_path
from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from bot.errors import SettingsError
from bot.owners import owners


def _base(url: str) -> str:
    if url and not url.startswith(("http://", "https://")):
        raise ValueError("begins with http:// or https://")
    return url.rstrip("/")


def _owners(text: str) -> str:
    owners(text)
    return text


Url = Annotated[str, AfterValidator(_base)]


class Settings(BaseSettings):
    """Each field is the environment variable COACH_<NAME>."""

    model_config = SettingsConfigDict(
        env_prefix="COACH_", env_file=".env", env_file_encoding="utf-8", extra="ignore", env_ignore_empty=True
    )

    database: str = Field(default_factory=lambda: f"sqlite:///{user_data_path('interview-coach') / 'coach.db'}")
    lease: Annotated[float, Field(ge=1, le=25)] = 20.0
    owners: Annotated[str, AfterValidator(_owners)] = ""
    content: Path | None = None
    files: Path = Field(default_factory=lambda: user_data_path("interview-coach") / "files")
    cache: Path = Field(default_factory=lambda: user_cache_path("interview-coach"))
    telegram_token: SecretStr | None = None
    telegram_api: Url = "https://api.telegram.org"
    telegram_webhook_url: Url = ""
    telegram_webhook_secret: SecretStr | None = None
    discord_token: SecretStr | None = None
    discord_api: Url = ""
    llm_base_url: Url = ""
    llm_model: str = ""
    llm_key: SecretStr | None = None
    llm_mode: Literal["tool", "native", "prompted"] = "tool"
    llm_timeout: Annotated[float, Field(gt=0, le=300)] = 20.0
    llm_daily: Annotated[int, Field(ge=0)] = 500
    llm_daily_learner: Annotated[int, Field(ge=0)] = 40
    ear: Literal["", "off", "pocketsphinx", "whisper", "endpoint"] = ""
    ear_model: str = ""
    ear_base_url: Url = ""
    ear_key: SecretStr | None = None
    ear_timeout: Annotated[float, Field(gt=0, le=600)] = 60.0
    keep_audio: Path | None = None
    voice: Literal["", "off", "espeak-ng", "piper", "endpoint"] = ""
    voice_model: str = ""
    voice_name: str = ""
    voice_base_url: Url = ""
    voice_key: SecretStr | None = None
    voice_timeout: Annotated[float, Field(gt=0, le=120)] = 20.0
    port: Annotated[int, Field(ge=0, le=65535)] | None = None
    host: str = ""
    grace: Annotated[float, Field(ge=0, le=240)] = 30.0
    patience: Annotated[float, Field(ge=1, le=3600)] = 120.0
    log: Annotated[str, Field(pattern="^(debug|info|warning|error)$")] = "info"
    log_json: bool | None = None


def settings() -> Settings:
    """The settings in force. Raises SettingsError with a sentence that names the variable and never its value."""
    try:
        return Settings()
    except ValidationError as error:
        problems = [
            f"COACH_{'_'.join(str(part) for part in one['loc']).upper()}: {one['msg']}" for one in error.errors(include_input=False)
        ]
        raise SettingsError("; ".join(problems)) from None
