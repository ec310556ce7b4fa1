-- Who made which model the champion, retired or deleted it, when and why, newest first?
-- "forced": promoted although the gate had the "objections" named. The history of a deleted model stays.
SELECT
    at,
    model_id,
    stage,
    who,
    why,
    forced,
    objections
FROM promotion
ORDER BY id DESC
