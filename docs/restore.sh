#!/bin/sh
# Restore a sealed bundle and check its signature, without Sealift.
#
#     restore.sh BUNDLE SIGNER.pub OUT [NAME-VERSION]
#
# Needs sha256sum, zstd, tar, cat, openssl, base64, sed, grep, awk. OUT must not exist. Nothing in
# OUT is to be used unless the last line says that all files are as signed. The public key must
# have come another way than the bundle.
set -eu
LC_ALL=C
export LC_ALL

fail() {
    echo "error: $1" >&2
    exit 3
}

[ $# -ge 3 ] || { echo "usage: restore.sh BUNDLE SIGNER.pub OUT [NAME-VERSION]" >&2; exit 2; }
bundle=$1 key=$2 out=$3
[ ! -e "$out" ] || { echo "error: $out exists" >&2; exit 2; }
[ -f "$bundle/CONTENTS.txt" ] || fail "$bundle/CONTENTS.txt: missing"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
blobs=$bundle/blobs/sha256
blob() { echo "$blobs/$1"; }

# 1. Is every file as it was written? This finds accidents, not attackers.
(cd "$bundle" && sha256sum --check --strict --quiet SHA256SUMS) || fail "SHA256SUMS does not fit"

# 2. Which bundle, and which of its blobs is what. Names are letters, digits and . _ + - only.
reference=${4:-$(awk '$2 == "manifest" { print $3; exit }' "$bundle/CONTENTS.txt")}
awk -v ref="$reference" '$3 == ref' "$bundle/CONTENTS.txt" > "$work/contents"
grep -Eqv '^[0-9a-f]{64} [a-z]+ [A-Za-z0-9._+-]+( [A-Za-z0-9._+/-]+)?$' "$work/contents" &&
    fail "CONTENTS.txt: a line has another form"
seal=$(awk '$2 == "signature" { print $1 }' "$work/contents")
manifest=$(awk '$2 == "manifest" { print $1 }' "$work/contents")
[ -n "$seal" ] && [ -n "$manifest" ] || fail "CONTENTS.txt: no bundle $reference"

# 3. The signature: ECDSA P-384 with SHA-384 over "DSSEv1 LEN TYPE LEN PAYLOAD".
field() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" "$(blob "$seal")"; }
type=$(field payloadType)
[ "$type" = application/vnd.in-toto+json ] || fail "the envelope holds $type"
field payload | base64 -d > "$work/statement"
field sig | base64 -d > "$work/signature"
{
    printf 'DSSEv1 %d %s %d ' "${#type}" "$type" "$(wc -c < "$work/statement")"
    cat "$work/statement"
} > "$work/signed"
openssl dgst -sha384 -verify "$key" -signature "$work/signature" "$work/signed" > /dev/null ||
    fail "the signature does not fit this key"
echo "signature: good"

# 4. The signed statement names this manifest, and the manifest names each part.
grep -q "\"manifest\":\"sha256:$manifest\"" "$work/statement" ||
    fail "manifest $manifest is not the signed one"
echo "$manifest  $(blob "$manifest")" | sha256sum --check --strict --quiet ||
    fail "the manifest is not what its digest says"
awk '$2 == "zstd" || $2 == "raw"' "$work/contents" > "$work/parts"
while read -r hex kind _ member; do
    grep -q "\"digest\":\"sha256:$hex\"" "$(blob "$manifest")" || fail "$hex is in no signed part"
    case /$member/ in
        *//* | */../* | */./*) fail "$member: no plain path" ;;
    esac
done < "$work/parts"

# 5. Restore each part under its name, then join those of one file. tar gives bytes, never names.
mkdir -p "$out"
while read -r hex kind _ member; do
    file=$(echo "$member" | sed 's/\.part[0-9]\{5\}$//')
    # A file may itself be called so: then the statement lists it under that name.
    grep -qF "\"name\":\"$member\"" "$work/statement" && file=$member
    mkdir -p "$(dirname "$out/$file")"
    if [ "$kind" = zstd ]; then
        zstd -dcq "$(blob "$hex")" | tar -xOf - >> "$out/$file"
    else
        tar -xOf "$(blob "$hex")" >> "$out/$file"
    fi
done < "$work/parts"

# 6. Every restored file against the signed list, and no file besides.
tr '{' '\n' < "$work/statement" |
    sed -n 's/^"algorithm":"sha256","digest":"\([0-9a-f]*\)","name":"\([^"]*\)"}.*/\1  \2/p' \
        > "$work/files"
(cd "$out" && sha256sum --check --strict --quiet "$work/files") || fail "a file is not as signed"
sed 's/^[0-9a-f]*  //' "$work/files" | sort > "$work/expected"
(cd "$out" && find . -type f | sed 's/^\.\///' | sort) > "$work/got"
cmp -s "$work/expected" "$work/got" || fail "the restored files are not those that were signed"
echo "restored: $(grep -c . "$work/files") files, all as signed"
