{
  description = "imprint: turns a software closure into a bootable disk image";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs = { self, nixpkgs }:
    let
      systems = [ "x86_64-linux" "aarch64-linux" ];
      forEach = f: builtins.listToAttrs (map (system: { name = system; value = f nixpkgs.legacyPackages.${system}; }) systems);
      version = "0-${self.shortRev or "dirty"}";
    in
    {
      packages = forEach (pkgs: rec {
        default = imprint;
        imprint = pkgs.buildGoModule {
          pname = "imprint";
          inherit version;
          src = self;
          # of the directory that go mod vendor writes
          vendorHash = "sha256-AH37SGM37PdSJrlti/Fly6FIyzok9lm8A9BFFVSkiXE=";
          subPackages = [ "cmd/imprint" ];
          env.CGO_ENABLED = "0";
          ldflags = [ "-s" "-w" "-X main.release=${version}" ];
          doCheck = false; # the tests need host tools and QEMU
          postInstall = ''
            mkdir -p $out/share/man
            $out/bin/imprint man $out/share/man
            for shell in bash fish zsh; do $out/bin/imprint completion $shell > imprint.$shell; done
            install -D imprint.bash $out/share/bash-completion/completions/imprint
            install -D imprint.fish $out/share/fish/vendor_completions.d/imprint.fish
            install -D imprint.zsh $out/share/zsh/site-functions/_imprint
          '';
        };
      });

      # makeImage { pkgs = …; } { description = …; } builds an image: see nix/make-image.nix
      lib.makeImage = { pkgs, imprint ? self.packages.${pkgs.stdenv.hostPlatform.system}.imprint }:
        import ./nix/make-image.nix { inherit imprint; inherit (pkgs) closureInfo runCommand; };
    };
}
