"""How often routes are wrong among those that the model is surest of: the risk-coverage curve.

After El-Yaniv and Wiener 2010 (JMLR 11): coverage is the share of comments that nobody looks at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Curve:
    """`risks[i]`: the share of wrong routes among the i + 1 surest comments."""

    risks: npt.NDArray[np.float64]

    def risk(self, share: float) -> float:
        """Return the share of wrong routes among the surest `share` of all comments."""
        return float(self.risks[max(1, round(share * len(self.risks))) - 1])


def risk_coverage(certainties: Sequence[float], right: Sequence[bool]) -> Curve | None:
    """Return the curve; None without comments. Of equal certainties the wrong ones come first."""
    if not right:
        return None
    order = np.lexsort((np.asarray(right), -np.asarray(certainties, dtype=np.float64)))
    wrong = ~np.asarray(right, dtype=bool)[order]
    return Curve(np.cumsum(wrong) / np.arange(1, len(wrong) + 1))
