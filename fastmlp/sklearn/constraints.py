"""The forms in which scikit-learn checks parameters, for which it has no public module."""

from sklearn.utils._param_validation import Interval, Options, StrOptions

__all__ = ["Interval", "Options", "StrOptions"]
