-- A model, by default the newest one.
SELECT COALESCE(
    CAST(:model AS TEXT),
    (SELECT id FROM model ORDER BY created_at DESC, id DESC LIMIT 1)
) AS model
