from SCons.Script import Default, DefaultEnvironment

CORE = ["-mcpu=cortex-m3", "-mthumb"]

env = DefaultEnvironment()
env.Replace(
    AR="arm-none-eabi-ar",
    AS="arm-none-eabi-as",
    CC="arm-none-eabi-gcc",
    LINK="arm-none-eabi-gcc",
    RANLIB="arm-none-eabi-ranlib",
    PROGNAME="firmware",
)
env.Append(CCFLAGS=CORE, LINKFLAGS=CORE + ["--specs=nosys.specs"])
Default(env.BuildProgram())
