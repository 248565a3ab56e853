"""DIR on the command line: a campaign folder or its dataset/, everywhere."""

from pathlib import Path

from cotenant.models.errors import UserError

DATASET = "dataset"
RAW = "raw"


def campaign_folder(folder: Path) -> Path | None:
    """Return the campaign folder that `folder` is or belongs to; None if it is a dataset on its own."""
    for candidate in (folder, folder.absolute().parent if folder.absolute().name == DATASET else folder):
        if (candidate / RAW).is_dir() or (candidate / "campaign.yaml").is_file():
            return candidate
    return None


def dataset_folder(folder: Path) -> Path:
    """Return the dataset that `folder` is or holds; UserError where there is none."""
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder; name a campaign folder or its {DATASET}/")
    for candidate in (folder / DATASET, folder):
        if (candidate / "experiments").is_dir():
            return candidate
    if campaign_folder(folder) is not None:
        raise UserError(f"{folder} has no {DATASET}/ yet; derive it with `cotenant dataset build {folder}`")
    raise UserError(f"{folder} is neither a campaign folder nor a dataset; name one that `cotenant campaign run` made")
