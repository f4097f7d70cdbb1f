"""The mark that results carry: which program made them, from which file, with which settings.

It is an XMP packet, which PNG, TIFF, JPEG, WebP and AVIF all hold. By it a later run tells results from inputs. The
name of the source is kept as a hash only, so that publishing a result gives nothing away.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass, field
from html import escape, unescape
from pathlib import Path
from typing import Any

from srspace import __version__

NAMESPACE = "urn:srspace:result"
_RDF = 'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
_PACKET = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF {rdf}>'
    '<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:srspace="{namespace}"'
    ' xmp:CreatorTool="srspace {version}" srspace:source="{source}" srspace:settings="{settings}"/>'
    '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)
_DESCRIPTION = (
    '<rdf:Description {rdf} rdf:about="" xmlns:srspace="{namespace}" srspace:version="{version}"'
    ' srspace:source="{source}" srspace:settings="{settings}"/>'
)


@dataclass(frozen=True)
class Provenance:
    """How a picture came about.

    Attributes:
        source: :func:`source_key` of the input.
        settings: mode, tau, n, seed, weights and the like; values that JSON can hold.
    """

    source: str
    settings: dict[str, Any] = field(default_factory=dict)

    def to_xmp(self) -> bytes:
        """The XMP packet, UTF-8."""
        return self._filled_in(_PACKET).encode()

    def description(self) -> str:
        """The mark as an element to be put into the RDF of another packet."""
        return self._filled_in(_DESCRIPTION)

    @classmethod
    def from_xmp(cls, packet: bytes | str) -> Provenance | None:
        """What :meth:`to_xmp` wrote, or None for any other packet."""
        text = packet.decode("utf-8", "replace") if isinstance(packet, bytes) else packet
        if f'xmlns:srspace="{NAMESPACE}"' not in text:
            return None
        source = re.search(r'srspace:source="(\w*)"', text)
        settings = re.search(r'srspace:settings="([^"]*)"', text)
        try:
            values = json.loads(unescape(settings[1])) if settings else {}
        except ValueError:
            values = {}
        return cls(source[1] if source else "", values if isinstance(values, dict) else {})

    def _filled_in(self, form: str) -> str:
        text = json.dumps(self.settings, sort_keys=True)  # ASCII: it goes through any writer
        return form.format(
            rdf=_RDF, namespace=NAMESPACE, version=__version__, source=self.source, settings=escape(text)
        )


def source_key(path: Path | None) -> str:
    """A short hash of a file's name without its folder; of standard input (None), an empty string."""
    return "" if path is None else hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]
