# A closure with everything that a store may hold. `parts` is a directory with busybox, linux, initrd and guest; `large` adds a file of
# 110 MB, `newline` a name with a newline in it, and `odd` names and link targets that no ISO carries.
{ parts, large, newline, odd }:

let
  source = name: builtins.path { path = parts + "/${name}"; inherit name; };
  busybox = source "busybox";
  linux = source "linux";
  initrd = source "initrd";
  guest = source "guest";

  run = name: environment: script: derivation ({
    inherit name;
    system = "x86_64-linux";
    builder = "${busybox}/bin/sh";
    args = [ "-euc" script ];
    PATH = "${busybox}/bin";
  } // environment);

  numbers = builtins.genList (i: i);

  # a tree of texts in which each refers to one or two before it
  texts = builtins.genList
    (i: builtins.toFile "text-${toString i}" (
      if i == 0 then "no references\n"
      else "${builtins.elemAt texts (i / 2)}\n" + (if i < 3 then "" else "${builtins.elemAt texts (i - 1)}\n")
    )) 200;

  # the same content under several names, hence in several items
  twins = map (i: builtins.path { path = parts + "/guest"; name = "twin-${toString i}"; }) (numbers 40);

  selfReference = run "self-reference-1.0" { inherit odd; } ''
    mkdir -p $out/bin $out/share
    printf '#!%s/bin/sh\nexec cat %s/share/text\n' ${busybox} $out > $out/bin/show
    chmod 755 $out/bin/show
    echo "I lie in $out" > $out/share/text
    ln -s $out/share/text $out/share/absolute
    ln -s ../share/text $out/bin/relative
    if [ -n "$odd" ]; then ln -s ../share/ $out/bin/slash; fi
  '';

  names = run "names" { inherit newline odd; } ''
    mkdir $out $out/empty-directory
    cd $out
    : > empty-file
    ln -s /nowhere/at/all dangling
    for name in 'grün' '日本語.txt' ' space ' "single'quote" 'double"quote' 'back\slash' -dash '#hash' '*' 'a;b' '<12>' .hidden trailing.; do
      echo "$name" > "./$name"
    done
    printf 'not UTF-8\n' > "$(printf 'invalid-\377')"
    if [ -n "$odd" ]; then
      long=$(printf '%255s' "" | tr ' ' n)
      echo long > $long
      ln -s "$(printf '%1500s' "" | tr ' ' t)" long-target
    fi
    ln -s "$(printf '%59s' "" | tr ' ' t)" target-of-59
    ln -s "$(printf '%60s' "" | tr ' ' t)" target-of-60
    echo linked > first
    ln first second
    mkdir below
    ln first below/third
    if [ -n "$newline" ]; then echo newline > 'two
    lines'; fi
  '';

  deep = run "deep" { } ''
    mkdir $out
    cd $out
    for i in $(seq 60); do mkdir level-$i; cd level-$i; echo $i > here; done
    mkdir $out/wide
    cd $out/wide
    seq 2000 | xargs touch
  '';

  largeFile = run "large" { } ''
    mkdir $out
    truncate -s 110M $out/file
    for at in 0 1 50000 111111111; do printf 'data at %s' $at | dd of=$out/file bs=1 seek=$at conv=notrunc 2>/dev/null; done
    for size in 1 4095 4096 4097 65536 1048577; do seq 1000000 | head -c $size > $out/of-$size; done
  '';

  outputs = run "outputs" { outputs = [ "out" "dev" "doc" ]; } ''
    mkdir $out $dev $doc
    echo "$out" > $dev/for
    echo documentation > $doc/text
    echo program > $out/program
  '';

  aFile = run "file.txt" { } ''echo "a file that refers to ${busybox}" > $out'';
  aScript = run "script" { } ''printf '#!${busybox}/bin/sh\necho hello\n' > $out; chmod +x $out'';
  aLink = run "link" { } ''ln -s ${aFile} $out'';

  fixed = run "fixed.txt" {
    outputHashMode = "flat";
    outputHashAlgo = "sha256";
    outputHash = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"; # of "hello\n"
  } ''echo hello > $out'';

  everything = [ selfReference names deep outputs.out outputs.dev outputs.doc aFile aScript aLink fixed ]
    ++ texts ++ twins ++ (if large then [ largeFile ] else [ ]);
in
{
  # what boots, and refers to all of it
  system = run "system" { contents = map toString everything; } ''
    mkdir $out
    ln -s ${linux}/bzImage $out/kernel
    ln -s ${initrd}/initrd $out/initrd
    ln -s ${busybox} $out/sw
    cp ${guest}/partuuid $out/partuuid
    sed 's,@busybox@,${busybox},' ${guest}/system-init > $out/init
    chmod 755 $out/init
    echo "$contents" > $out/contents
  '';

  # a second root, which shares items with the first
  extra = run "extra" { } ''mkdir $out; echo ${selfReference} ${busybox} > $out/uses; ln -s ${outputs.doc}/text $out/doc'';

  # the derivation of which is a root too
  inherit outputs;
}
