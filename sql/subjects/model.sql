-- The model that is named, if one is.
SELECT CAST(:model AS TEXT) AS model
