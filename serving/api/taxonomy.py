"""`GET /v1/taxonomy`: the vocabulary of the answers, with names and meanings in both languages."""

from __future__ import annotations

from fastapi import APIRouter, Response

from model.records import SENTIMENTS
from serving.inference import Inference
from serving.schemas import TaxonomyOut
from serving.service import Service
from serving.strict_json import write_json


def taxonomy_router(inference: Inference) -> APIRouter:
    """Return the route; what it answers follows the model that is in use."""
    router = APIRouter()

    @router.get(
        "/v1/taxonomy", summary="Show the taxonomy", tags=["classify"], response_model=TaxonomyOut
    )
    async def show_taxonomy() -> Response:
        """List areas, labels and signals with their names and meanings."""
        return Response(_body(inference.service), media_type="application/json")

    return router


def _body(service: Service) -> bytes:
    taxonomy = service.taxonomy
    return write_json(
        {
            "model": service.model,
            "taxonomy": service.fingerprint,
            "sentiments": SENTIMENTS,
            "areas": [{"area": area, "name": names} for area, names in taxonomy.areas.items()],
            "labels": [
                {"label": t.id, "area": t.area, "name": t.name, "means": t.means}
                for t in taxonomy.labels.values()
            ],
            "signals": [
                {"signal": t.id, "name": t.name, "means": t.means}
                for t in taxonomy.signals.values()
            ],
        }
    )
