"""How long the tests of the estimators are: ``tox -e sklearn`` runs all, for 200 epochs each."""

import os

EPOCHS = int(os.environ.get("FASTMLP_EPOCHS", "12"))
IS_LONG = EPOCHS >= 200
