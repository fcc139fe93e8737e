"""Can a classifier tell translations from real images?"""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from models.metrics.estimate import Estimate, bootstrap, check_features

FOLDS = 5
MOST = 500  # images of either side


def two_sample(real: np.ndarray, fake: np.ndarray, *, draws: int = 1000, seed: int = 0) -> Estimate:
    """Area under the ROC curve, in [0, 1], of a classifier between ``real`` and ``fake`` [N, D].

    0.5: it cannot tell them apart; 1: it never errs. A classifier two-sample test (Lopez-Paz &
    Oquab, 2017, arXiv:1610.06545): logistic regression on the features, each image scored by one
    that did not learn from it. The interval is of ``draws`` bootstrap samples of the images.

    Raises ModelError when either side has fewer than `MIN_IMAGES` images or holds a NaN.
    """
    check_features(real, fake)
    x, y = real[:MOST], fake[:MOST]
    sides = np.repeat([0, 1], [len(x), len(y)])
    learner = make_pipeline(StandardScaler(), LogisticRegression(C=1e-3, max_iter=500))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    scores = cross_val_predict(
        learner, np.concatenate([x, y]), sides, cv=folds, method="decision_function"
    )
    # Which of a pair looks more like a translation: 1 if the translation does, ½ where they tie.
    wins = (np.sign(scores[sides == 1][None] - scores[sides == 0][:, None]) + 1) / 2
    return bootstrap(
        lambda u, v: np.einsum("bi,bi->b", u @ wins, v) / (len(x) * len(y)),
        len(x),
        len(y),
        draws=draws,
        seed=seed,
    )
