-- What has every evaluation said so far, newest first, and what remains without twins of training images?
SELECT
    created_at,
    id,
    model_id,
    split,
    n,
    accuracy,
    accuracy_low,
    accuracy_high,
    macro_f1,
    macro_f1_low,
    macro_f1_high,
    tumor_accuracy,
    contrast_accuracy,
    twin_free_n,
    twin_free_accuracy,
    twin_free_macro_f1
FROM evaluation
ORDER BY created_at DESC, id DESC
