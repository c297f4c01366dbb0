"""From an alert to a citizen who did not pay: one case a citizen, worked to its outcome.

`serving.scorer` judges events; this keeps what follows: evidence, levels and deadlines, who works
the case, what was tried, how it ended, and what that teaches. It takes no measure against anybody:
requests to banks and operators are another package's, and who may act is `serving.access`'s.
"""

from serving.cases.admission import admit
from serving.cases.config import CaseConfig, CaseConfigError
from serving.cases.evidence import Admitted

__all__ = ["Admitted", "CaseConfig", "CaseConfigError", "admit"]
