# Three generations of a system as NixOS makes them, each with two specialisations and with a bootspec; without nixpkgs. `parts` is a directory of
# demostore's. Every generation has a kernel and an initrd of its own, and one of the specialisations an initrd.
{ parts }:

let
  source = name: builtins.path { path = parts + "/${name}"; inherit name; };
  busybox = source "busybox";

  run = name: environment: script: derivation ({
    inherit name;
    system = "x86_64-linux";
    builder = "${busybox}/bin/sh";
    args = [ "-euc" script ];
    PATH = "${busybox}/bin";
  } // environment);

  linux = n: run "linux-6.12.${n}" { } ''mkdir $out; cp ${source "linux"}/bzImage $out/bzImage; chmod +w $out/bzImage; echo ${n} >> $out/bzImage'';
  initrd = n: run "initrd-linux-6.12.${n}" { } ''mkdir $out; cp ${source "initrd"}/initrd $out/initrd; chmod +w $out/initrd; echo ${n} >> $out/initrd'';

  # params and label are texts of JSON
  toplevel = n: { name ? "", initrd, specialisations ? { } }: run "nixos-system-test-25.05.${n}${name}" {
    spec = builtins.toJSON {
      system = "x86_64-linux";
      toplevel = "@out@";
      init = "@out@/init";
      kernel = "${linux n}/bzImage";
      initrd = "${initrd}/initrd";
      kernelParams = [ "loglevel=4" "generation=${n}${name}" ];
      label = "NixOS Warbler 25.05.${n} (Linux 6.12.${n})";
    };
    special = "{" + builtins.concatStringsSep "," (map (k: ''"${k}": @${k}@'') (builtins.attrNames specialisations)) + "}";
    names = builtins.attrNames specialisations;
    paths = builtins.attrValues specialisations;
  } ''
    mkdir -p $out/specialisation
    ln -s ${linux n}/bzImage $out/kernel
    ln -s ${initrd}/initrd $out/initrd
    echo "loglevel=4 generation=${n}${name}" > $out/kernel-params
    echo -n 25.05.${n} > $out/nixos-version
    printf '#!${busybox}/bin/sh\necho generation ${n}\n' > $out/init
    chmod +x $out/init
    doc="{\"org.nixos.bootspec.v1\": $spec, \"org.nixos.specialisation.v1\": $special, \"org.example\": [null]}"
    echo "$doc" | sed "s,@out@,$out,g" > $out/boot.json
    set -- $paths
    for name in $names; do
      ln -s $1 $out/specialisation/$name
      { tr -d '\n' < $1/boot.json; } > /build/one
      awk -v "mark=@$name@" 'NR == FNR { one = $0; next } { at = index($0, mark); print substr($0, 1, at - 1) one substr($0, at + length(mark)) }' \
        /build/one $out/boot.json > /build/all
      cp /build/all $out/boot.json
      shift
    done
  '';

  generation = n: toplevel n {
    initrd = initrd n;
    specialisations = {
      quiet = toplevel n { name = "-quiet"; initrd = initrd n; };
      other = toplevel n { name = "-other"; initrd = initrd "${n}-other"; };
    };
  };
in
map generation [ "1" "2" "3" ]
