-- Who made which model the champion, or retired it, when and why, newest first?
-- "forced" means without the gate.
SELECT at, model_id, stage, who, why, forced
FROM promotion
ORDER BY id DESC
