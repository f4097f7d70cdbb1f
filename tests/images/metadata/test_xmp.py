from __future__ import annotations

import pytest

from srspace.images.metadata import xmp
from srspace.provenance import Provenance

MARK = Provenance("abc", {"mode": "mean", "weights": 'a"<&>', "tau": 0.9})
PACKET = """<?xpacket begin='\ufeff' id='W5M0MpCehiHzreSzNTczkc9d'?>
<x:xmpmeta xmlns:x='adobe:ns:meta/'><RDF:RDF xmlns:RDF='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>
<RDF:Description RDF:about='' xmlns:tiff='http://ns.adobe.com/tiff/1.0/' xmlns:exif='http://ns.adobe.com/exif/1.0/'
 xmlns:xmp='http://ns.adobe.com/xap/1.0/' xmlns:dc='http://purl.org/dc/elements/1.1/'
 tiff:Orientation='6' tiff:ImageWidth="24" exif:GPSLatitude='48,8N'>
<exif:PixelXDimension>24</exif:PixelXDimension><exif:GPSLongitude>11,30E</exif:GPSLongitude>
<exif:GPSTimeStamp><RDF:Alt><RDF:li>x</RDF:li></RDF:Alt></exif:GPSTimeStamp>
<dc:title>24 exif:GPS</dc:title>
<xmp:Thumbnails><RDF:Alt><RDF:li>AAAA</RDF:li></RDF:Alt></xmp:Thumbnails>
</RDF:Description></RDF:RDF></x:xmpmeta>
<?xpacket end='w'?>""".encode()


def test_a_result_is_upright_of_its_size_and_without_thumbnails():
    assert xmp.orientation(PACKET) == 6
    after = xmp.for_result(PACKET, 96, 80)
    assert xmp.sound(after) is not None and xmp.orientation(after) == 1
    assert b"PixelXDimension>96<" in after and b'ImageWidth="96"' in after and b"AAAA" not in after
    assert b"<dc:title>24 exif:GPS</dc:title>" in after and b"48,8N" in after


def test_the_place_goes_when_asked():
    after = xmp.without_gps(PACKET)
    assert xmp.sound(after) is not None
    assert b"GPSLatitude" not in after and b"GPSLongitude" not in after and b"GPSTimeStamp" not in after
    assert b"exif:PixelXDimension" in after and b"<dc:title>24 exif:GPS</dc:title>" in after


def test_the_mark_goes_into_a_packet_and_is_found_again():
    marked = xmp.marked(PACKET, MARK)
    assert xmp.sound(marked) is not None and Provenance.from_xmp(marked) == MARK
    assert b"<dc:title>" in marked
    assert xmp.without_mark(marked) == PACKET
    assert Provenance.from_xmp(xmp.marked(None, MARK)) == MARK


def test_of_a_packet_that_holds_a_mark_alone_nothing_is_left():
    assert xmp.without_mark(MARK.to_xmp()) is None
    other = Provenance("def", {"mode": "rrdb"})
    again = xmp.marked(xmp.without_mark(xmp.marked(PACKET, MARK)), other)
    assert Provenance.from_xmp(again) == other and again.count(b"urn:srspace:result") == 1


BOMB = b"""<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>
<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#">&b;</r:RDF>"""


@pytest.mark.parametrize(
    "bad", [b"", b"no XML", b"<a>", PACKET[:-60], b"\xff\xfe<", b"<x>&undefined;</x>", BOMB, b"<x/>"]
)
def test_what_is_no_well_formed_rdf_is_refused(bad: bytes):
    assert xmp.sound(bad) is None


def test_packets_in_utf_16_are_read():
    text = PACKET.decode().strip("\ufeff")
    assert xmp.sound(text.encode("utf-16")) == text.encode()


def test_a_part_that_stands_elsewhere_is_told():
    note = b"xmlns:xmpNote='http://ns.adobe.com/xmp/note/' xmpNote:HasExtendedXMP='AB'"
    partial = PACKET.replace(b"tiff:Orientation='6'", note)
    assert xmp.is_partial(partial) and not xmp.is_partial(PACKET)
    assert b"HasExtendedXMP" not in xmp.for_result(partial, 1, 1)
