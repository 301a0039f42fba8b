"""`echolot serve` and `echolot keys`; what they need is imported when they run."""

from __future__ import annotations

import click


@click.command()
def serve() -> None:
    """Start the HTTP API, as the environment variables ECHOLOT_* say."""
    from functools import partial

    from serving.app import create_app
    from serving.logs import configure_logs
    from serving.reloading import Reloading
    from serving.server import bind, serve_app
    from serving.service import load_service, wanted_version
    from serving.settings import load_settings

    settings = load_settings()
    # The address first: a taken port should be known before seconds go into the model.
    with bind(settings) as bound:
        configure_logs(settings.log_level)
        service = load_service(settings)
        # A model that the settings name stays until somebody asks for a reload.
        look = settings.reload_seconds if settings.model is None else 0
        reloading = Reloading(
            partial(load_service, settings),
            wanted=partial(wanted_version, settings),
            seconds=look or None,
        )
        app = create_app(service, settings, reloading=reloading)
        serve_app(app, bound=bound, settings=settings, model=service.model, on_hangup=reloading.ask)


@click.group()
def keys() -> None:
    """Make keys for the API."""


@keys.command("new")
@click.argument("name")
def new(name: str) -> None:
    """Make a key for the caller NAME, and show it this once."""
    from serving.keys import new_key

    key, kept = new_key(name)
    click.echo(f"key, for the caller, shown only now:     {key}")
    click.echo(f"pair, for the setting ECHOLOT_API_KEYS:  {kept}")
