-- Which model is in production, since when, who promoted it, and why?
-- The last row of a model in "promotion" says its stage. Without a row here there is no champion.
-- empty: no model is the champion; run: mri promote MODEL
SELECT
    model_id,
    at AS since,
    who,
    why
FROM promotion
WHERE
    stage = 'champion'
    AND NOT EXISTS (
        SELECT 1 FROM promotion AS later WHERE later.model_id = promotion.model_id AND later.id > promotion.id
    )
ORDER BY id DESC
LIMIT 1
