"""Settings the console keeps in the store, by name."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select, update

from detector.store.tables import setting


def setting_of(db: Connection, name: str) -> str | None:
    """Return a setting of the store, None if nobody has set it."""
    found: str | None = db.execute(select(setting.c.value).where(setting.c.name == name)).scalar()
    return found


def set_setting(db: Connection, name: str, value: str, now_ms: int) -> None:
    """Change a setting of the store, or make it."""
    values = {"value": value, "changed_by": "console", "changed_ms": now_ms}
    if db.execute(update(setting).where(setting.c.name == name).values(**values)).rowcount == 0:
        db.execute(insert(setting).values(name=name, **values))
