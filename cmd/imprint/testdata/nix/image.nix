# An image that is built inside a derivation, by nix/make-image.nix, through flake.nix. There is no nixpkgs here: busybox and the functions below
# stand in for it. `parts` is a directory of demostore's, `program` one with bin/imprint, `registration` a file in closureInfo's form.
{ repository, parts, program, registration ? null }:

let
  source = name: builtins.path { path = parts + "/${name}"; inherit name; };
  busybox = source "busybox";
  linux = source "linux";
  initrd = source "initrd";

  runCommand = name: environment: script: derivation ({
    inherit name;
    system = "x86_64-linux";
    builder = "${busybox}/bin/sh";
    args = [ "-euc" script ];
    PATH = "${busybox}/bin";
    SOURCE_DATE_EPOCH = "315532800"; # as stdenv sets it
  } // builtins.removeAttrs environment [ "__structuredAttrs" "unsafeDiscardReferences" ]); # which need bash

  closureInfo = { rootPaths }: runCommand "closure-info" { inherit rootPaths; } ''
    mkdir $out
    cp ${builtins.path { path = registration; name = "registration"; }} $out/registration
    echo "$rootPaths" > $out/store-paths
  '';

  pkgs = { stdenv.hostPlatform.system = "x86_64-linux"; inherit runCommand closureInfo; };

  flake = (import (repository + "/flake.nix")).outputs {
    self = { outPath = repository; packages.x86_64-linux.imprint = builtins.path { path = program; name = "imprint"; }; };
    nixpkgs.legacyPackages = { };
  };
in
rec {
  system = runCommand "system" { } ''
    mkdir $out
    ln -s ${linux}/bzImage $out/kernel
    ln -s ${initrd}/initrd $out/initrd
    ln -s ${busybox} $out/sw
    ln -s ${busybox}/bin/busybox $out/init
    echo quiet > $out/kernel-params
    echo 25.05 > $out/nixos-version
    echo "a quote \" and a dollar $" > $out/text
  '';

  image = flake.lib.makeImage { inherit pkgs; } {
    flags = [ "--sha256" ];
    description = {
      name = "nix";
      arch = "x86_64";
      seed = null;
      closure = [ { name = "system"; roots = [ system ]; profile = "system"; } ];
      boot = {
        loader = "none";
        system = "\${closure.system}";
      };
      partition = [
        {
          name = "root";
          type = "root";
          filesystem = "ext4";
          free = "16MiB";
          closures = [ "system" ];
          file = [ { path = "/etc/text"; text = "tab\tquote\" back\\slash\nEND OF DESCRIPTION\n"; } { path = "/etc/flake"; source = ./image.nix; } ];
        }
      ];
    };
  };

  outputs = flake.lib.makeImage { inherit pkgs; } {
    description = {
      name = "out";
      output = [ { format = "qcow2"; compression = "zstd"; } { path = "files.tar"; } ];
      partition = [
        { name = "root"; type = "linux-generic"; filesystem = "ext4"; file = [ { path = "/etc/flake"; source = ./image.nix; } ]; }
      ];
    };
  };
}
