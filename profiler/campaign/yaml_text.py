"""YAML as people write it, read into plain values; what YAML lets pass silently, a key given twice, is told."""

from typing import Any

import yaml

from cotenant.models.errors import UserError


def read_yaml(text: str, where: str) -> Any:
    """Return what a YAML text holds; `where` names it in messages.

    Raises:
        UserError: It is no YAML, holds a key twice, or is nested too deeply.
    """
    try:
        return yaml.load(text, Loader=_OnceLoader)
    except RecursionError as error:
        raise UserError(f"{where} is nested too deeply; write it with fewer levels") from error
    except (yaml.YAMLError, ValueError, LookupError, AttributeError) as error:  # the last three: tags that do not fit
        raise UserError(f"{where} is not valid YAML: {' '.join(str(error).split())}") from error


class _OnceLoader(yaml.SafeLoader):
    """The safe loader, but a mapping that names a key twice is an error, as the YAML specification has it."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: dict[str, yaml.Mark] = {}
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in seen:
                    problem = f"the key `{key.value}` stands twice, in lines {seen[key.value].line + 1} and"
                    raise yaml.MarkedYAMLError(problem=f"{problem} {key.start_mark.line + 1}; keep one of them")
                seen[key.value] = key.start_mark
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping
