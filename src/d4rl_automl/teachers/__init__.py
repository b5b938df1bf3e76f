"""AutoGluon's predictors: trained, measured, asked for labels, distilled, exported."""
