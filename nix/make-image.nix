# Builds a disk image inside a derivation. The first argument is what it needs of nixpkgs, the second describes the image:
#
#   makeImage = import ./make-image.nix { inherit imprint; inherit (pkgs) closureInfo runCommand; };
#
#   makeImage {
#     description = {
#       name = "web";
#       arch = "x86_64";
#       closure = [ { name = "system"; roots = [ toplevel ]; profile = "system"; } ];
#       partition = [ … ];
#     };
#   }
#
# The result is a directory with NAME.raw (or NAME.iso) and its manifest, or with the files of description.output:
#
#   output = [ { format = "qcow2"; compression = "zstd"; } { format = "oci"; } ];
{ imprint      # the package: ${imprint}/bin/imprint is a static program
, closureInfo  # as in nixpkgs: { rootPaths } → a directory with the file `registration`
, runCommand   # as in nixpkgs: name → environment → script → derivation
}:

{ description         # keys of a description (docs/description.md); derivations and paths stand for their store paths
, hostTools ? [ ]     # packages whose programs the description needs: squashfsTools, e2fsprogs, grub2…
, flags ? [ ]         # of imprint build, such as "--sha256"
, environment ? { }   # of the derivation, such as `meta`
}:

let
  # A value in TOML. What Nix writes as JSON is TOML too, apart from tables: those are inline here, on one line.
  toml = v:
    if builtins.isAttrs v && !(v ? outPath) then
      "{ ${builtins.concatStringsSep ", " (map (k: "${builtins.toJSON k} = ${toml v.${k}}") (keysOf v))} }"
    else if builtins.isList v then "[${builtins.concatStringsSep ", " (map toml v)}]"
    else builtins.toJSON v;

  # the keys that are not null
  keysOf = v: builtins.filter (k: v.${k} != null) (builtins.attrNames v);

  document = v: builtins.concatStringsSep "\n" (map (k: "${builtins.toJSON k} = ${toml v.${k}}") (keysOf v));

  rootPaths = builtins.concatMap (c: c.roots) (description.closure or [ ]);
  source = if rootPaths == [ ] then { } else {
    source = [ { path = "/"; registration = "${closureInfo { inherit rootPaths; }}/registration"; } ];
  };

  # without outputs of its own
  file = if description ? output then "" else "-o ${description.name}.${description.format or "raw"}";
in
runCommand "${description.name}-image" ({
  nativeBuildInputs = hostTools;
  # The image has all that it needs, and its text of store paths is no reason to keep them on the machine that built it.
  __structuredAttrs = true;
  unsafeDiscardReferences.out = true;
} // environment) ''
  cat > image.toml <<'END OF DESCRIPTION'
  ${document (source // description)}
  END OF DESCRIPTION
  # The builder's time is no part of what is described: epoch is.
  unset SOURCE_DATE_EPOCH
  mkdir $out
  description=$PWD/image.toml
  cd $out
  ${imprint}/bin/imprint build "$description" ${file} ${builtins.concatStringsSep " " flags}
''
