"""What a batch size may be, for models of the zoo and for the user's own file alike."""

from cotenant.models.errors import UserError

BATCH_SIZE_MAX = 4096


def checked_batch_size(batch_size: int) -> int:
    """Return the batch size if it can be one; UserError otherwise."""
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or not 1 <= batch_size <= BATCH_SIZE_MAX:
        raise UserError(f"{_shown(batch_size)} is no batch size; give a whole number from 1 to {BATCH_SIZE_MAX}")
    return batch_size


def _shown(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 100:
        return "a number of so many digits"
    return repr(value)
